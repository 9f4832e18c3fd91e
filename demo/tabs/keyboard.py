"""What Gradio's controls lack for the keyboard: radio buttons by arrows, a typed strength by Enter.

Gradio names each radio button differently, so that to a browser each is a group of its own, and its
slider fires `release` for a pointer only.
"""

import gradio as gr

SCRIPT = """
const name_groups = () => {
  document.querySelectorAll("fieldset").forEach((group, index) => {
    for (const radio of group.querySelectorAll("input[type=radio]"))
      if (radio.name !== `group-${index}`) radio.name = `group-${index}`;
  });
};
new MutationObserver(name_groups).observe(document.body, {
  attributeFilter: ["name"], childList: true, subtree: true,
});
name_groups();

const release = (slider) => slider.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
document.addEventListener("keyup", ({ target, key }) => {
  if (target.matches("input[type=range]") && key !== "Tab") release(target);
});
document.addEventListener("keydown", ({ target, key }) => {
  if (key !== "Enter" || !target.matches("input[data-testid=number-input]")) return;
  if (target.value !== "")
    target.value = Math.min(Math.max(target.value, target.min), target.max);
  target.dispatchEvent(new Event("input", { bubbles: true }));
  release(target);
});
"""


def add_keyboard_support() -> None:
    """Add to the open page the script that does it."""
    gr.HTML(js_on_load=SCRIPT, elem_classes="no-display", apply_default_css=False)
