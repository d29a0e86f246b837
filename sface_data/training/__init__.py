"""What training runs of any network share: processes, random numbers, order, folder, checkpoint, report."""
