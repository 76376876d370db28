"""Experiments a visitor can repeat: free functions on arrays, each a claim that can turn out wrong."""
