"""Files with lists of ranges: CSV, LosslessCut and EDL. Pure."""
