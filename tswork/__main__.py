"""`python -m tswork`, for launchers such as torchrun that start modules."""

from tswork.cli.main import main

main()
