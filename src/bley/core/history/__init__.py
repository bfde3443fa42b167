"""History: counts, searches, and the outcomes of deferrals."""
