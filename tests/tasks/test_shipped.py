import hashlib
import json
import shutil

import pytest

from w2s_utils.tasks import colored_mnist, finetuned, shipped

COMMANDS = {
    colored_mnist.PACK: "w2s features colored-mnist",
    colored_mnist.RECOLORED_PACK: "w2s features colored-mnist --recolored",
    finetuned.PACK: "w2s features finetuned",
}
PACKS = tuple(COMMANDS)


def change_a_byte(pack):
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)


@pytest.mark.parametrize("original", PACKS, ids=lambda pack: pack.stem)
@pytest.mark.parametrize(
    "spoil",
    [
        change_a_byte,
        lambda pack: pack.write_bytes(pack.read_bytes()[:-1]),
        lambda pack: pack.unlink(),
        lambda pack: pack.with_suffix(".json").unlink(),
        lambda pack: pack.with_suffix(".json").write_text("{}"),
        lambda pack: pack.with_suffix(".json").write_text("no JSON"),
    ],
)
def test_a_spoilt_pack_is_one_clear_error(tmp_path, spoil, original):
    for file in (original, original.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    pack = tmp_path / original.name
    assert shipped.read(pack, "w2s")
    spoil(pack)
    with pytest.raises(
        ValueError, match=r"not the file that its manifest describes: restore .* with `w2s`"
    ):
        shipped.read(pack, "w2s")


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.stem)
def test_a_manifest_has_the_hash_of_its_pack(pack):
    manifest = json.loads(pack.with_suffix(".json").read_text())
    assert manifest["sha256"] == hashlib.sha256(pack.read_bytes()).hexdigest()
    assert manifest["command"] == COMMANDS[pack]


def test_all_packs_are_known_here():
    assert set(PACKS) == set(colored_mnist.PACK.parent.glob("*.npz"))
