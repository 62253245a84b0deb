"""Stage 6 and `vctool evaluate`: from recordings to tables, plots and pages."""
