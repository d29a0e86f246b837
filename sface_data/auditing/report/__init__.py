"""The audit's report, a page of HTML."""
