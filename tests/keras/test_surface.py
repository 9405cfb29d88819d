"""Every public name of Keras is here with the same signature, or listed with the reason why not."""

from __future__ import annotations

import pytest
import surface


@pytest.mark.parametrize("family", surface.RECORDED["families"])
def test_names_and_signatures(family):
    left_out, differs = surface.reasons(family), surface.DIFFERS.get(family, {})
    wrong = []
    for name, wanted in surface.RECORDED["families"][family].items():
        thing = surface.found(family, name)
        if name in left_out:
            if thing is not None:
                wrong.append(f"{name} is here, but listed as left out")
        elif thing is None:
            wrong.append(f"{name} is missing")
        elif name not in differs and surface.signature(thing) != wanted:
            here = surface.spelled(surface.signature(thing))
            wrong.append(f"{name}: Keras has ({surface.spelled(wanted)}), here is ({here})")
        elif name in differs and surface.signature(thing) == wanted:
            wrong.append(f"{name}: equal, but listed as different")
    unknown = (set(left_out) | set(differs)) - set(surface.RECORDED["families"][family])
    assert not wrong and not unknown, "\n".join([*wrong, *sorted(unknown)])


def test_page_is_current():
    assert surface.PAGE.read_text() == surface.page(), "run python tests/keras/surface.py"
