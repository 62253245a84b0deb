"""`python -m vctool`, which is also what `torchrun -m vctool train ...` starts."""

from vctool.cli import main

if __name__ == "__main__":
    main()
