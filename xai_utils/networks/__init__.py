"""The networks of the study: architectures, weights, recipes, and how they are trained."""
