"""Files of labelled, unlabelled and test inputs, as options name them."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2s_utils._files import printable

READINGS = 4  # of each row of a diagnosis of three sets, about


@dataclass(frozen=True)
class SetFiles:
    """What was given for each option; a list has an entry for each teacher, or for each pool."""

    weak: Sequence[str]
    strong: str
    labels: str
    unlabelled_weak: Sequence[str] = field(default=())
    unlabelled_strong: Sequence[str] = field(default=())
    test_weak: Sequence[str] = field(default=())
    test_strong: str | None = None
    test_labels: str | None = None
    split: str | None = None
    groups: str | None = None
    ids: str | None = None
    replicates: str | None = None
    group: str | None = None

    @property
    def shifted(self) -> bool:
        """Whether anything was given but labelled inputs."""
        others = self.unlabelled_weak, self.unlabelled_strong, self.test_weak, self.test_strong
        return any((*others, self.test_labels, self.split, self.groups))

    @property
    def pools(self) -> bool:
        """Whether several pools were given for one teacher."""
        return len(self.weak) == 1 and len(self.unlabelled_weak) > 1

    def check(self) -> None:
        """Raise ValueError if files are missing or too many."""
        if len(set(self.weak)) < len(self.weak):
            raise ValueError("The same file was given for --weak twice.")
        if self.split is not None:
            others = self.unlabelled_weak, self.unlabelled_strong, self.test_weak, self.test_strong
            if any((*others, self.test_labels)):
                raise ValueError("--split says it all: leave out --unlabelled-... and --test-....")
            return
        teachers, pools = len(self.weak), len(self.unlabelled_weak) if self.pools else 1
        strong = [self.test_strong] if self.test_strong is not None else []
        for name, of_weak, of_strong, wanted in (
            ("unlabelled", self.unlabelled_weak, self.unlabelled_strong, (teachers * pools, pools)),
            ("test", self.test_weak, strong, (teachers, 1)),
        ):
            if (len(of_weak), len(of_strong)) not in ((0, 0), wanted):
                raise ValueError(
                    f"--{name}-weak and --{name}-strong must come {wanted[0]} and {wanted[1]} "
                    f"times, a file for each teacher or pool, got {len(of_weak)} and "
                    f"{len(of_strong)}."
                )
        if self.test_labels is not None and self.test_strong is None:
            raise ValueError("--test-labels needs --test-weak and --test-strong.")

    @contextmanager
    def reading(self) -> Iterator[dict[str, Any]]:
        """Arguments of `rank_teachers`: all weak features are mappings by the teachers' names."""
        from w2s_utils._progress import Watched, counted
        from w2s_utils.diagnosis import split_sets
        from w2s_utils.io.joining import Joined

        self.check()
        opened: list[Any] = []

        def features(file: str, of: Joined) -> Any:
            opened.append(of.features(file))
            return Watched(opened[-1], lambda rows: told[0](rows))

        told: list[Callable[[int], None]] = [lambda rows: None]
        main = Joined(self.ids)
        y: Any = main.replicates(self.labels) if self.split else main.labels(self.labels)
        teachers = by_name({file: features(file, main) for file in self.weak}, "teachers")
        strong = features(self.strong, main)
        given: dict[str, Any]
        if self.split is not None:
            words = main.labels(self.split)
            groups = None if self.groups is None else main.labels(self.groups)
            of_all = {name: split_sets(W, strong, y, words, groups) for name, W in teachers.items()}
            first = next(iter(of_all.values()))
            given = {
                "teachers": {name: one["weak"] for name, one in of_all.items()},
                "strong": first["strong"],
                "labels": first["labels"],
                "groups": first.get("groups"),
            }
            for role in ("unlabelled", "test"):
                if role in first:
                    weak = {name: one[role][0] for name, one in of_all.items()}
                    given[role] = weak, *first[role][1:]
        else:
            test = Joined(self.ids)
            groups = None if self.groups is None else test.labels(self.groups)
            given = {"teachers": teachers, "strong": strong, "labels": y, "groups": groups}
            if self.pools:
                pairs = zip(self.unlabelled_weak, self.unlabelled_strong, strict=True)
                pools = {weak: [features(X, pool) for X in (weak, strong)]
                         for weak, strong in pairs for pool in [Joined(self.ids)]}  # fmt: skip
                given["pools"] = by_name(pools, "pools")
            elif self.unlabelled_weak:
                pool = Joined(self.ids)
                own = [features(file, pool) for file in self.unlabelled_weak]
                (s,) = self.unlabelled_strong
                given["unlabelled"] = dict(zip(teachers, own, strict=True)), features(s, pool)
            if self.test_strong is not None:
                own = [features(file, test) for file in self.test_weak]
                y = None if self.test_labels is None else test.labels(self.test_labels)
                of_teachers = dict(zip(teachers, own, strict=True))
                given["test"] = of_teachers, features(self.test_strong, test), y
        if self.replicates is not None:
            given["replicates"] = main.replicates(self.replicates)
        if self.group is not None:
            given["group"] = main.labels(self.group)
        with counted(READINGS * sum(map(len, opened)), "reading") as tell:
            told[0] = tell
            yield given


def by_name(files: dict[str, Any], kind: str) -> dict[str, Any]:
    """Replace the paths of files by their names, with their folders if names alone are the same."""
    for parts in (1, 2):
        named = {shown(file, parts): value for file, value in files.items()}
        if len(named) == len(files):
            return named
    raise ValueError(f"Two {kind} have files of the same name: rename one of them.")


def shown(file: str, parts: int = 1) -> str:
    """Last parts of the path of a file of features, fit to be printed."""
    path, separator, name = file.partition("::")
    short = "/".join(Path(path).parts[-parts:])
    if re.fullmatch(r"layer-\d+\.npy", Path(path).name):
        short = short.removesuffix(".npy")
    return printable(f"{short}{separator}{name}")


def of_one(given: dict[str, Any]) -> dict[str, Any]:
    """The same for the only teacher."""
    (name,) = given["teachers"]
    own = {key: value for key, value in given.items() if key != "teachers"}
    for role in ("unlabelled", "test"):
        if role in own:
            weak, *rest = own[role]
            own[role] = weak[name], *rest
    return {"weak": given["teachers"][name], **own}
