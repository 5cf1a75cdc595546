"""Writes cases.jsonl: the templates of templates/, which are our own, rendered by Jinja2 for the conversations below.

Run with Python 3.11, Jinja2 3.1.6: python make.py > cases.jsonl
The environment is that of ../jinja/testdata/make.py: transformers' sandbox.
"""
import importlib.util
import json
import pathlib
import sys

here = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("jinja_make", here.parent / "jinja/testdata/make.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)


def talk(*contents, system=None):
    roles = ["user", "assistant"]
    out = [] if system is None else [{"role": "system", "content": system}]
    return out + [{"role": roles[i % 2], "content": c} for i, c in enumerate(contents)]


CONVERSATIONS = [
    talk("Hello"),
    talk("Hello", " Good day.", "And now?", system="Answer in one word."),
    talk("Two\r\n\r\nlines", "Ja", "Q\n\n\nQ\n\nQ", system="  padded\n"),
    talk("\t blank around \n", "\n\nreply\n\n", " "),
    talk("", "", "", system=""),
    talk("Größe ⛵ 日本 e\u0301 \u200b\u00a0.", "Да", "\u2003wide\u2003"),
    talk("{{ 1 + 1 }} {% for %} {# x #} <|im_end|> <|user|> [Q] ' \" \\n \\", "</s>", "### Assistant:"),
    talk("why?", "<think>\nbecause\n</think>\n\nSo.", "again?", "<think>hm</think>So, again."),
    talk("<tool>5</tool>", "<think>x</think>ok", "<tool>6</tool>"),
    [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
    [{"role": "assistant", "content": "I begin"}, {"role": "user", "content": "well"}],
    [{"role": "system", "content": "alone"}],
    [{"role": "user", "content": "x"}, {"role": "tool", "content": "{}"}],
    talk("<b>&amp;</b> 'q' \"d\" \u2028\x07", "```go\nfunc main() {}\n```\n", "a\rb\x0bc\n\n"),
    talk("long " * 60, "ok " * 90),
]


def main():
    out = []
    for path in sorted((here / "templates").glob("*.jinja")):
        template = module.env.from_string(path.read_text(encoding="utf-8"))
        for bos, eos in [("<s>", "</s>"), ("", "<|im_end|>")]:
            for messages in CONVERSATIONS:
                for add in [True, False]:
                    case = {"template": path.name, "bos_token": bos, "eos_token": eos, "messages": messages,
                            "add_generation_prompt": add}
                    try:
                        case["text"] = template.render(
                            messages=messages, tools=None, documents=None, add_generation_prompt=add, bos_token=bos,
                            eos_token=eos)
                    except Exception as e:
                        case["error"] = str(e)
                    out.append(case)
    for case in out:
        json.dump(case, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")


main()
