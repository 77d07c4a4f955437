"""The probe app: the same routes on every framework, so that one list of behaviours can be asked of all."""
