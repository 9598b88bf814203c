"""What the tests share: goldens, the real data where they are present, and the settings of hypothesis."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent

settings.register_profile("suite", deadline=None, derandomize=True,
                          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what the tests found into tests/golden")
    parser.addoption("--ignore-golden", action="store_true", help="do not compare with tests/golden")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden("name.txt", text)` compares a text with the file `tests/golden/name.txt`."""

    def compare(name: str, text: str) -> None:
        path = HERE / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if request.config.getoption("--ignore-golden"):
            return
        assert path.exists(), f"{path} is missing; run pytest --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="session", autouse=True)
def _libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Built libraries go to a folder of the test run, not to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNNC_CACHE", str(tmp_path_factory.mktemp("libraries")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real networks and recordings; the test is skipped where it is absent."""
    path = Path(os.environ.get("SNNC_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("no real data here; SNNC_SHARED_DATA names their folder")
    return path
