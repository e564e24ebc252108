"""tswork: contrastive representation learning on time series and speech, from a pipeline file to an honest table."""

__version__ = "0.1.0"
