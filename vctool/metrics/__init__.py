"""Objective measures of a conversion; every value carries its settings."""
