"""What a report is made of: tables, figures, players, values by utterance."""
