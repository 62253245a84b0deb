"""A measure that cannot be taken here, so that a table can list it as not run, with the reason."""


class MetricUnavailable(ImportError):
    """A measure's optional package is not installed."""

    def __init__(self, metric: str, package: str, remedy: str) -> None:
        super().__init__(f"{metric}: {package} is not installed; {remedy}", name=package)
        self.metric = metric
        self.package = package
