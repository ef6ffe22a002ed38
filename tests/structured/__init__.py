"""Networks with structure, and the program's verdicts on them held against exact enumeration (`naive.verdicts`)."""
