"""Images that a model changed say so in their XMP metadata, and keep everything else that these say."""

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from cli_helpers import IPTC, RDF, files_below, label_of, noise, save_small_model, translate
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import features

import aggan
from aggan.cli.main import run
from aggan.images.ai_label import CHANGED, GENERATED, add_label
from aggan.images.encodings import MAX_XMP_BYTES, place_xmp
from aggan.images.file import read_image_file
from aggan.images.sixteen_bit import write_16bit

CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
NAMESPACES = (
    "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:dc='http://purl.org/dc/elements/1.1/' "
    "xmlns:e='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' xmlns:GPano='http://ns.google.com/photos/1.0/panorama/'"
)
CREATOR = "<dc:creator><rdf:Seq><rdf:li>Zoë &amp; Co.</rdf:li></rdf:Seq></dc:creator>"


def packet(attributes: str = "", elements: str = "", padding: int = 0) -> bytes:
    """XMP metadata with a creator, a projection, and what is added."""
    description = f"<rdf:Description rdf:about='uuid:7' GPano:ProjectionType='equirectangular' {attributes}>"
    body = f"<rdf:RDF {NAMESPACES}>{description}{CREATOR}{elements}</rdf:Description></rdf:RDF>"
    begin, end = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>', "<?xpacket end='w'?>"
    return f"{begin}<x:xmpmeta xmlns:x='adobe:ns:meta/'>{body}</x:xmpmeta>{padding * ' '}{end}".encode()


def save_with_xmp(file: Path, xmp: bytes) -> Path:
    format = {".jpg": "JPEG", ".tif": "TIFF"}.get(file.suffix, file.suffix[1:].upper())
    options = {"exif": Pillow.Exif()}
    place_xmp(options, xmp, format)
    Pillow.fromarray(noise(20, 30)).save(file, format, **options)
    return file


def values(xmp: bytes) -> list[str]:
    """The DigitalSourceType of XMP metadata, in the forms that this package and the tests write."""
    root = ElementTree.fromstring(xmp)
    attributes = [element.get(f"{IPTC}DigitalSourceType") for element in root.iter(f"{RDF}Description")]
    elements = [element.text or element.get(f"{RDF}resource") for element in root.iter(f"{IPTC}DigitalSourceType")]
    return [value for value in attributes + elements if value]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp", "a.avif", "deep.png", "deep.tif"])
def test_a_translation_is_labelled_in_every_format(tmp_path, model, name):
    if name == "a.avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    file = tmp_path / name
    if name.startswith("deep"):
        pixels = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), np.uint16)
        write_16bit(file, pixels, {".png": "PNG", ".tif": "TIFF"}[file.suffix], {})
    else:
        Pillow.fromarray(noise(20, 30)).save(file)
    assert translate(model, file, out=tmp_path / "out") == 0
    (output,) = (tmp_path / "out").iterdir()
    assert label_of(output) == CHANGED
    assert read_image_file(output).pixels.dtype == (np.uint16 if name.startswith("deep") else np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
@pytest.mark.parametrize("png", [False, True], ids=["in its format", "as PNG"])
def test_what_the_metadata_say_is_kept(tmp_path, model, name, png):
    source = save_with_xmp(tmp_path / name, packet())
    assert translate(model, source, out=tmp_path / "out", more=("--png",) if png else ()) == 0
    (output,) = (tmp_path / "out").iterdir()
    assert label_of(output) == CHANGED
    with Pillow.open(output) as image:
        image.load()
        xmp = image.info["xmp"].decode()
        assert 700 not in image.getexif() or image.format == "TIFF"
    # Some programs search for text and do not parse it, so prefixes stay, too.
    assert CREATOR in xmp
    assert 'GPano:ProjectionType="equirectangular"' in xmp
    assert 'rdf:about="uuid:7"' in xmp
    assert xmp.startswith("<?xpacket begin")
    assert xmp.endswith("<?xpacket end='w'?>")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_the_label_can_be_left_out(tmp_path, model, name):
    source = save_with_xmp(tmp_path / name, packet())
    assert translate(model, source, out=tmp_path / "out", more=("--no-ai-label",)) == 0
    with Pillow.open(tmp_path / "out" / name) as image:
        image.load()
        assert image.info["xmp"] == packet()
    options = aggan.TranslateOptions(ai_label=False, masks=True)
    aggan.translate_files(model, source, to="happy", out=tmp_path / "python", options=options)
    assert {label_of(file) for file in (tmp_path / "python").iterdir()} == {None}


def test_contents_are_labelled_and_masks_are_not(tmp_path, model):
    Pillow.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    assert translate(model, tmp_path / "a.png", out=tmp_path / "out", more=("--masks",)) == 0
    labels = {name: label_of(tmp_path / "out" / name) for name in files_below(tmp_path / "out")}
    assert labels == {"a.png": CHANGED, "a.content.png": CHANGED, "a.mask.png": None}


def test_an_image_that_did_not_change_is_not_labelled(tmp_path, small):
    Pillow.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    empty = save_small_model(tmp_path / "empty-masks", small, mask_bias=-1000.0)
    assert translate(empty, tmp_path / "a.png", out=tmp_path / "out") == 0
    assert label_of(tmp_path / "out" / "a.png") is None


FORMS = {
    "an attribute": (f"e:DigitalSourceType='{CAPTURE}'", ""),
    "an element": ("", f"<e:DigitalSourceType>\n {CAPTURE}</e:DigitalSourceType>"),
    "a resource": ("", f"<e:DigitalSourceType rdf:resource='{CAPTURE}'/>"),
}


@pytest.mark.parametrize(("attributes", "elements"), FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("before", "after"), [(CAPTURE, CHANGED), (CHANGED, CHANGED), (GENERATED, GENERATED)])
def test_another_label_is_replaced_unless_all_was_generated(attributes, elements, before, after):
    labelled = add_label(packet(attributes.replace(CAPTURE, before), elements.replace(CAPTURE, before)))
    assert values(labelled) == [after]
    assert CREATOR.encode() in labelled


def test_metadata_without_properties_or_with_a_second_description_get_the_label():
    empty = f"<rdf:RDF {NAMESPACES}/>".encode()
    assert values(add_label(empty)) == [CHANGED]
    second = packet().replace(b"</rdf:RDF>", f"<rdf:Description {FORMS['an attribute'][0]}/></rdf:RDF>".encode())
    assert values(add_label(second)) == [CHANGED]


DAMAGED = {
    "cut short": packet()[:-60],
    "no XML": b"\xff\xfenonsense",
    "an unknown encoding": b"<?xml version='1.0' encoding='klingon'?><a/>",
    "without RDF": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    "nested too deeply": f"<rdf:RDF {NAMESPACES}>{20_000 * '<dc:a>'}{20_000 * '</dc:a>'}</rdf:RDF>".encode(),
    "entities": b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + packet(),
}


@pytest.mark.parametrize("xmp", DAMAGED.values(), ids=DAMAGED)
def test_damaged_metadata_are_replaced(xmp):
    assert add_label(xmp) == add_label()
    assert values(add_label()) == [CHANGED]


@given(start=st.integers(0, 700), length=st.integers(0, 40), junk=st.binary(max_size=20))
def test_no_metadata_stop_a_translation(start, length, junk):
    original = packet()
    labelled = add_label(original[:start] + junk + original[start + length :])
    assert values(labelled) == [CHANGED]


def test_metadata_that_fill_a_jpeg_make_room_for_the_label(tmp_path, model):
    limit = MAX_XMP_BYTES["JPEG"]
    padded = packet(padding=limit - len(packet()))
    source = save_with_xmp(tmp_path / "padded.jpg", padded)
    text = f"<dc:source>{'x' * (limit - len(packet()) - len('<dc:source></dc:source>'))}</dc:source>"
    save_with_xmp(tmp_path / "full.jpg", packet(elements=text))
    assert translate(model, source, tmp_path / "full.jpg", out=tmp_path / "out") == 0
    with Pillow.open(tmp_path / "out" / "padded.jpg") as image:
        assert CREATOR.encode() in image.info["xmp"]
    with Pillow.open(tmp_path / "out" / "full.jpg") as image:
        assert image.info["xmp"] == add_label()
    too_long = dataclasses.replace(read_image_file(source), ai_label=False)
    too_long.metadata["xmp"] = padded + b" "
    with pytest.raises(Exception, match="XMP data is too long"):
        too_long.save(tmp_path / "b.jpg")


def test_the_help_says_how_to_leave_the_label_out(capsys):
    with pytest.raises(SystemExit, match="0"):
        run(["translate", "--help"])
    assert "--no-ai-label" in capsys.readouterr().out
