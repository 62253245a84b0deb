"""Recipes: their roles and directions, the paths of their files, and the state of their stages."""
