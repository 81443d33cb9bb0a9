"""python -m sr_accessor: the command line, the same as `symreg`."""

from sr_accessor.frontends.cli import main

if __name__ == "__main__":
    main(prog_name="symreg")
