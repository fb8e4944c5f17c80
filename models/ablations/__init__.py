"""What else the network could have been: variants trained for equal time and judged alike."""
