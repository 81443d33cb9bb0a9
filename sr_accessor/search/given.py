"""What the user gives a search beside the data: constraints, guesses, a template, names of known numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.dimensions import Dimensions
from sr_accessor.search.constraints import Admission
from sr_accessor.search.front import Front
from sr_accessor.search.template import Template

__all__ = ["Given"]


@dataclass(frozen=True)
class Given:
    """Everything in it is optional; without anything a search is free.

    Parameters
    ----------
    admission : which candidates may be kept
    guesses : laws to start from
    template : the outer form that all laws have
    named : names of the known numbers among the vocabulary's operators
    """

    admission: Admission | None = None
    guesses: Expressions | None = None
    template: Template | None = None
    named: tuple[str, ...] = ()

    @property
    def dimensions(self) -> Dimensions | None:
        """Units that must fit together; None where they need not."""
        return None if self.admission is None else self.admission.dimensions

    def formed(self, e: Expressions, *, nameless: bool = False) -> torch.Tensor:
        """(B,) whether each candidate has active operators only, and the form asked for.

        `nameless`: numbers do not have their names yet, so that a known number that is required may be missing.
        """
        if self.admission is None:
            return e.permitted
        return self.admission.formed(e, but=[e.vocabulary.id(name) for name in self.named] if nameless else ())

    def shaped(self, e: Expressions) -> torch.Tensor:
        """(B,) whether each candidate, with its numbers, has the shape asked for."""
        return torch.ones_like(e.permitted) if self.admission is None else self.admission.shaped(e)

    def admits(self, front: Front) -> bool:
        """Whether a front holds what was asked for; the mean, with which a search begins, need not."""
        if self.template is not None and front.origins == ("mean",):
            return False
        return bool((self.formed(front.expressions) & self.shaped(front.expressions)).all())
