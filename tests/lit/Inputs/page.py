# PAGE: an HTML page whose tags balance, whose anchors are unique, whose links lead to them, and which loads nothing.
import sys
from html.parser import HTMLParser


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.rects = [], [], [], 0

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "link", "iframe", "img", "object"), tag
        for name, value in attributes:
            assert name not in ("src", "srcset", "onclick", "onload"), name
            assert "url(" not in (value or ""), value
            if name == "id":
                self.ids.append(value)
            if name == "href":
                assert value.startswith("#"), value
                self.links.append(value[1:])
        self.rects += tag == "rect"
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())


page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
page.close()
assert not page.open, page.open
assert len(page.ids) == len(set(page.ids)), "an anchor occurs twice"
assert set(page.links) <= set(page.ids), set(page.links) - set(page.ids)
assert page.rects > 0
