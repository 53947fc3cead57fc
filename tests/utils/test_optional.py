import sys

import pytest

from skdrfm.exceptions import MissingDependencyError
from skdrfm.utils._optional import import_optional


def test_an_installed_module_is_returned():
    assert import_optional("json", extra="report", purpose="write JSON") is sys.modules["json"]


def test_a_missing_module_says_how_to_install_it():
    message = r"'no_such_module' is needed to write Word .*pip install 'skdrfm\[report\]'"
    with pytest.raises(MissingDependencyError, match=message) as caught:
        import_optional("no_such_module", extra="report", purpose="write Word files")
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value.__cause__, ImportError)
