"""Drawings of models: feature-map boxes in perspective, or a flow chart. matplotlib puts them on paper."""
