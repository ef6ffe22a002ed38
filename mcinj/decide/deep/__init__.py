"""Several layers: the search over units layer by layer, for counts and ranks on every region."""
