"""What probes are taught: labels that are drawn, and a teacher's soft or hard pseudo-labels."""

from __future__ import annotations

import numpy as np
from scipy import special

from w2s_utils._validate import Array
from w2s_utils.theory.classes import Labels, Score, seen
from w2s_utils.theory.fixed_point import Lessons, Loss, Teach
from w2s_utils.theory.quadrature import NODES, WEIGHTS, density

_TINY = np.finfo(float).tiny
_LEAST = np.sqrt(_TINY)
_LIGHT = 1e-13  # weight of a pair of nodes that nobody would miss


def drawn(labels: Labels, loss: Loss) -> Teach:
    """Labels of the law; the only latent is theirs."""

    def teach(slopes: Array, spread: float, offset: float) -> Lessons:
        at = seen(labels, Score(offset, slopes[0], spread))
        weights = at.weight * at.chance, at.weight * (1 - at.chance)
        of_each = at.latent_of_1, at.latent - at.latent_of_1
        told = np.full_like(at.score, loss.certain)
        latents = [
            latent / np.maximum(chance, _TINY)
            for latent, chance in zip(of_each, (at.chance, 1 - at.chance), strict=True)
        ]
        return Lessons(
            np.concatenate(weights),
            np.concatenate([at.score, at.score]),
            np.concatenate([told, -told]),
            np.concatenate(latents)[None],
        )

    return teach


def soft(labels: Labels, teacher: Score, scale: float) -> Teach:
    """A teacher's scores times a scale.

    The latents are that of the labels, and what else the teacher's score varies by.
    """

    def teach(slopes: Array, spread: float, offset: float) -> Lessons:
        parts = []
        for share, mean, variance in labels.components:
            told, own = _of_component(teacher, slopes, mean, variance)
            size = np.hypot(*told)
            along = own @ told / size
            rest = np.sqrt(max(_across(own, told) ** 2 / size**2 + spread**2, _TINY))
            first, second = NODES[:, None], NODES
            weight = share * np.outer(WEIGHTS, WEIGHTS)
            kept = weight > _LIGHT
            # Of the two latents, along what is told and along what is left of the own score.
            on_told, on_rest = told / size, (own - along * told / size) / rest
            middle = np.array([mean, 0.0])
            scales = np.array([np.sqrt(variance), 1.0])
            latents = [
                (middle[i] + scales[i] * (on_told[i] * first + on_rest[i] * second))[kept]
                for i in range(2)
            ]
            score = offset + slopes[0] * mean + along * first + rest * second
            answers = scale * (teacher.offset + teacher.slope * mean + size * first + 0 * second)
            parts.append((weight[kept], score[kept], answers[kept], np.array(latents)))
        return _joined(parts)

    return teach


def hard(labels: Labels, teacher: Score, loss: Loss) -> Teach:
    """Signs of a teacher's scores; latents as of `soft`."""

    def teach(slopes: Array, spread: float, offset: float) -> Lessons:
        parts = []
        for share, mean, variance in labels.components:
            told, own = _of_component(teacher, slopes, mean, variance)
            size = np.sqrt(own @ own + spread**2)
            middle, scales = np.array([mean, 0.0]), np.array([np.sqrt(variance), 1.0])
            on_own = own / size
            along = on_own @ told
            rest = max(np.hypot(_across(own, told), np.hypot(*told) * spread) / size, _LEAST)
            answer = (teacher.offset + teacher.slope * mean + along * NODES) / rest
            jump = density(answer)
            score = offset + slopes[0] * mean + size * NODES
            for sign in (1, -1):
                chance = special.ndtr(sign * answer)
                latents = middle[:, None] + scales[:, None] * (
                    np.outer(on_own, NODES)
                    + sign
                    * np.outer((told - along * on_own) / rest, jump / np.maximum(chance, _TINY))
                )
                told_here = np.full_like(score, sign * loss.certain)
                parts.append((share * WEIGHTS * chance, score, told_here, latents))
        return _joined(parts)

    return teach


def _of_component(
    teacher: Score, slopes: Array, mean: float, variance: float
) -> tuple[Array, Array]:
    """Teacher's and own score on unit Gaussians: within the component, and beside the latent."""
    root = np.sqrt(variance)
    told = np.array([teacher.slope * root, teacher.spread])
    return told, np.array([slopes[0] * root, slopes[1]])


def _across(one: Array, other: Array) -> float:
    """Area between them: no difference of nearly equal squares where they are nearly parallel."""
    return float(one[0] * other[1] - one[1] * other[0])


def _joined(parts: list[tuple[Array, Array, Array, Array]]) -> Lessons:
    return Lessons(*(np.concatenate(one, axis=-1) for one in zip(*parts, strict=True)))
