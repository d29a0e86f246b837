"""The checks of an audit, one noun per file: each makes a finding from the evidence of one judge."""
