"""Parts of a report: tables, figures, players, values by utterance."""
