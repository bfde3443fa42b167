"""Looking back: counts, searches, what became of deferrals."""
