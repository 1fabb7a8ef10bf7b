"""`python -m lexigram` is the command `lexigram`; torchrun starts it this way."""

from lexigram.cli import main

main()
