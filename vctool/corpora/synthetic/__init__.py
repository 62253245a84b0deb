"""How the synthetic corpus is made: sentences, their speech, a song for each, and its singing."""
