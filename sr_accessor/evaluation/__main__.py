"""python -m sr_accessor.evaluation: one command per question, one file per command."""

from __future__ import annotations

import click

from sr_accessor.errors import run_commands
from sr_accessor.evaluation.ablations import ablations
from sr_accessor.evaluation.chunks import chunks
from sr_accessor.evaluation.control import control
from sr_accessor.evaluation.coverage import coverage
from sr_accessor.evaluation.exports import exports
from sr_accessor.evaluation.figure3 import figure3
from sr_accessor.evaluation.figure4 import figure4
from sr_accessor.evaluation.groups import groups
from sr_accessor.evaluation.in_domain import in_domain
from sr_accessor.evaluation.nested import nested
from sr_accessor.evaluation.network import network
from sr_accessor.evaluation.new_operators import new_operators
from sr_accessor.evaluation.outliers import outliers
from sr_accessor.evaluation.peers import peers
from sr_accessor.evaluation.pure_noise import noise
from sr_accessor.evaluation.scaling import scaling
from sr_accessor.evaluation.speed import speed
from sr_accessor.evaluation.srbench import srbench
from sr_accessor.evaluation.units import units
from sr_accessor.evaluation.visible import visible
from sr_accessor.evaluation.wide import wide

__all__ = ["commands"]


@click.group()
def commands() -> None:
    """How good and how fast: every command prints a table and the machine it was measured on."""


for command in (
    visible, srbench, peers, control, scaling, in_domain, figure3, figure4, nested, network, new_operators, ablations,
    noise, coverage, groups, chunks, outliers, units, wide, speed, exports,
):  # fmt: skip
    commands.add_command(command)


if __name__ == "__main__":
    run_commands(commands, "python -m sr_accessor.evaluation")
