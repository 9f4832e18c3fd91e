"""The API view documents each endpoint; transfer knows neutral; files say version and strength."""

import json
import re
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import expect

from demo.tabs import endpoint_docs
from tests.browser.conftest import Site, Visitor
from tests.docs.documents import PROJECT

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
EXAMPLES = {
    "/compare": endpoint_docs.COMPARED,
    "/emotion": [endpoint_docs.EMOTION],
    "/embed": [endpoint_docs.EMBEDDED],
    "/transfer": endpoint_docs.TRANSFERRED,
    "/models": [endpoint_docs.REPORTED],
}


@pytest.fixture(scope="module")
def client(site: Site) -> Client:
    patient = {"timeout": 60}
    return Client(site.page_url, verbose=False, analytics_enabled=False, httpx_kwargs=patient)


def test_the_examples_in_the_documentation_have_the_keys_of_real_answers(
    client: Client, examples: Path
) -> None:
    photos = [handle_file(examples / f"{name}.jpg") for name in ("sad_01", "smiling_07", "sad_06")]
    real = {
        "/compare": client.predict(*photos, api_name="/compare"),
        "/emotion": client.predict(photos[0], api_name="/emotion"),
        "/embed": client.predict(photos[0], api_name="/embed"),
        "/transfer": client.predict(*photos[:2], api_name="/transfer")[0],
        "/models": client.predict(api_name="/models"),
    }
    for name, answer in real.items():
        shown = EXAMPLES[name]
        one, other = (each[0] if isinstance(each, list) else each for each in (answer, shown))
        assert list(one) == list(other), name
    text = (PROJECT / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = [json.loads(block) for block in re.findall("```json\n(.*?)```", text, re.DOTALL)]
    assert blocks == list(EXAMPLES.values())


def test_the_api_view_shows_types_and_an_example_and_no_mcp(visitor: Visitor, site: Site) -> None:
    api = httpx.get(f"{site.page_url}/gradio_api/info", timeout=60).json()["named_endpoints"]
    assert set(api) == set(EXAMPLES)
    for name, endpoint in api.items():
        assert json.dumps(EXAMPLES[name]) in endpoint["description"]
        for parameter in endpoint["parameters"]:
            text = parameter["python_type"]["description"]
            assert text, parameter
            assert "FileData" not in text
    page = visitor.context.new_page()  # the view asks for MCP's schema, which isn't there
    page.goto(site.page_url)
    page.get_by_role("button", name="Use via API").click()
    view = page.get_by_role("dialog", name="Use via API")
    for example in EXAMPLES.values():
        expect(view.get_by_text(json.dumps(example)).first).to_be_visible()
    expect(view.get_by_text("cURL", exact=True)).to_be_visible()
    expect(view.get_by_text("MCP", exact=True)).to_be_hidden()


def test_transfer_makes_a_face_neutral_and_its_file_says_version_and_strength(
    client: Client, examples: Path
) -> None:
    person = handle_file(examples / "smiling_07.jpg")
    answer, path = client.predict(person, strength=0.5, api_name="/transfer")
    assert answer["driver_likeness"] is None
    assert len(answer["boxes"]) == 1
    assert Path(path).name == "expression-transfer_pix2pixhd-v1_strength0.5.png"
    texts = Image.open(path).text
    assert texts["Software"] == "Expression Studio, pix2pixhd version 1"
    assert texts["Comment"] == "strength 0.5"
