"""The standard label of an image that a trained model changed: `DigitalSourceType` in its XMP metadata.

The property is the International Press Telecommunications Council's (IPTC Photo Metadata Standard), and so are its
values (https://cv.iptc.org/newscodes/digitalsourcetype/). Programs and web sites that show where an image comes from
read it. XMP is described in ISO 16684-1. Imports no torch.
"""

from contextlib import suppress
from xml.dom import XMLNS_NAMESPACE, minidom
from xml.parsers.expat import ExpatError

CHANGED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""Parts of the image were drawn by a trained model."""
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""All of it was. A source with this label keeps it."""
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC, _PREFIX, _PROPERTY = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "Iptc4xmpExt", "DigitalSourceType"
_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta>'
    '<?xpacket end="r"?>'
).encode()


def add_label(xmp: bytes | None = None, max_bytes: int | None = None) -> bytes:
    """XMP metadata with the label, and with everything else that `xmp` says.

    Metadata that cannot be parsed are replaced, and so are those that do not fit into `max_bytes` with the label.
    """
    with suppress(ExpatError, LookupError, RecursionError, ValueError):  # of damaged metadata, even nested ones
        labelled = _add_label(xmp or _EMPTY)
        if labelled and not (max_bytes and len(labelled) > max_bytes):
            return labelled
    return add_label()


def _add_label(xmp: bytes) -> bytes | None:
    """The same; None if the metadata have no place for properties, or a document type, which XMP does not have."""
    document = minidom.parseString(xmp.strip(b"\0 \t\r\n"))
    rdf = next(iter(document.getElementsByTagNameNS(_RDF, "RDF")), None)
    if rdf is None or rdf.prefix is None or document.doctype:
        return None
    label = GENERATED if GENERATED in _remove_labels(rdf) else CHANGED
    description = next(iter(rdf.getElementsByTagNameNS(_RDF, "Description")), None)
    if description is None:
        description = rdf.appendChild(document.createElementNS(_RDF, f"{rdf.prefix}:Description"))
        description.setAttributeNS(_RDF, f"{rdf.prefix}:about", "")
    description.setAttributeNS(XMLNS_NAMESPACE, f"xmlns:{_PREFIX}", _IPTC)
    description.setAttributeNS(_IPTC, f"{_PREFIX}:{_PROPERTY}", label)
    return "".join(node.toxml() for node in document.childNodes).encode()


def _remove_labels(rdf: minidom.Element) -> set[str]:
    """Remove the property in each form that XMP allows, and return its values."""
    values = set()
    for description in rdf.getElementsByTagNameNS(_RDF, "Description"):
        if description.hasAttributeNS(_IPTC, _PROPERTY):
            values.add(description.getAttributeNS(_IPTC, _PROPERTY).strip())
            description.removeAttributeNS(_IPTC, _PROPERTY)
        for element in description.getElementsByTagNameNS(_IPTC, _PROPERTY):
            if element in description.childNodes:
                values.add(element.getAttributeNS(_RDF, "resource").strip())
                values.update(node.data.strip() for node in element.childNodes if isinstance(node, minidom.Text))
                description.removeChild(element)
    return values
