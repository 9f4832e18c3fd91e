"""The Models tab: what is in production, how good it is, and what it replaced."""

from typing import Any

import gradio as gr

from demo import model_reports
from demo.models import PAGE_MODELS
from demo.tabs.context import PageContext, notice, placeholder
from demo.tabs.model_card import ModelCardAccordion, hide_model_card, show_model_card
from demo.tabs.model_report import report_html, shadow_html
from demo.visitor_files import LIFETIME_SECONDS
from registry.catalog import CATALOG
from registry.errors import RegistryError

WAIT = "The report comes in a moment."
REFRESH_SECONDS = 5
"""How often the open tab looks whether something changed."""
QUIET = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


class ModelsTab:
    """Builds the tab's components; nothing is read before the tab is opened."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        names = [(CATALOG[name].title, name) for name in PAGE_MODELS]
        self.model = gr.Radio(names, value=PAGE_MODELS[0], label="Model", elem_id="models-choice")
        self.report = gr.HTML(
            placeholder(WAIT),
            elem_id="models-report",
            elem_classes="prose",
            apply_default_css=False,
        )
        self.shadow = gr.HTML(elem_id="models-shadow", apply_default_css=False)
        self.card = ModelCardAccordion()
        self.shown = gr.State(None, time_to_live=LIFETIME_SECONDS)
        self.timer = gr.Timer(REFRESH_SECONDS, active=False)

    def connect(self, tab: gr.Tab, tabs: gr.Tabs) -> None:
        """Fill the tab when it is opened, and keep it up to date until another one is.

        Args:
            tab: The tab.
            tabs: It and all others.
        """
        others = [each for each in tabs.children if isinstance(each, gr.Tab) and each is not tab]
        inputs = [self.model, self.shown]
        outputs = [self.report, *self.card.outputs, self.shown, self.shadow, self.timer]
        events = [tab.select, self.model.input, self.timer.tick]
        gr.on(events, self.show, inputs, outputs, trigger_mode="always_last", **QUIET)
        gr.on([each.select for each in others], self.rest, None, self.timer, **QUIET)

    def show(self, model: str, shown: object) -> list[Any]:
        """Return the report and the model card, unless they are shown already.

        Args:
            model: Name of the model.
            shown: What this returned for `self.shown` the last time.
        """
        spec = CATALOG[model]
        candidate = self._context.shadow.candidate(model)
        loaded = self._context.server.loaded(model)
        last = [shadow_html(candidate) if candidate else "", gr.Timer(active=True)]
        try:
            answering = (loaded and loaded.version.number, self._context.problem_html(spec))
            state = (*answering, *model_reports.identity(model))
            if shown == (model, state):
                return [gr.skip()] * 5 + last
            report = model_reports.report(model)
        except RegistryError as error:
            html = self._context.problem_html(spec) or notice(str(error))
            return [html, *hide_model_card(), None, *last]
        card = show_model_card(model, report.now.version.number)
        return [report_html(self._context, spec, report), *card, (model, state), *last]

    def rest(self) -> Any:
        """Stop looking for changes."""
        return gr.Timer(active=False)
