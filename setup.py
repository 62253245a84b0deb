"""What is in a wheel: the package, and in it the recipes and confs that lie beside it here.

Everything else about the project is in pyproject.toml.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["vctool*"]), "vctool.recipes", "vctool.conf"],
    package_dir={"vctool.recipes": "recipes", "vctool.conf": "conf"},
    package_data={
        "vctool": [
            "vocoders/weights/*",
            "metrics/weights/*",
            "export/host.c",
            "app/static/*",
            "demo/*",
        ],
        "vctool.recipes": ["*.yaml"],
        "vctool.conf": ["**/*.yaml"],
    },
)
