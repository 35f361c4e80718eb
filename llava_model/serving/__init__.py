"""The model as a service: in process (`engine`)."""
