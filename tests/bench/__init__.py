"""What Cairn reaches on this machine, beside the machine's own figures from the same run."""
