"""What the reliability page counts: verdicts against other arithmetic, damaged proofs, damaged files, killed runs."""
