"""`python -m retail_seg` is the command `retail-seg`."""

from retail_seg.cli import main

main()
