"""Code in the text that is a public name, as `explain.grad_cam`, becomes a link to the reference.

The pages stay plain Markdown, which a repository's web view shows as it is.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

NAME = re.compile(r"(?:(?:cnnexplain|cx|tf)\.)?([A-Za-z_][\w.]*)(?:\(.*\))?", re.DOTALL)


class CodeLinks(SphinxPostTransform):
    default_priority = 50

    def run(self, **kwargs: Any) -> None:
        objects = self.env.domains["py"].objects
        for literal in list(self.document.findall(nodes.literal)):
            parts = NAME.fullmatch(literal.astext())
            if parts is None or isinstance(literal.parent, nodes.reference) or "py" in literal["classes"]:
                continue
            # a bare word may be an argument; of those only the methods of `explain` are meant
            homes = ("cnnexplain.", "cnnexplain.keras.") if "." in parts[1] else ("cnnexplain.explain.",)
            found = next((home + parts[1] for home in homes if home + parts[1] in objects), None)
            if found is None or (objects[found].objtype == "module" and "." not in parts[1]):
                continue
            entry = objects[found]
            link = make_refnode(
                self.app.builder, self.env.docname, entry.docname, entry.node_id, literal.deepcopy(), found
            )
            literal.replace_self(link)


def setup(app: Any) -> dict[str, bool]:
    app.add_post_transform(CodeLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
