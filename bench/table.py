"""What was measured: rows of values, with least, median and most, as Markdown and JSON."""

import json
import statistics


def shown(value):
    """Three figures that mean something."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if size < 10 else f"{value:.1f}"


class Row:
    def __init__(self, group, what, figure, unit):
        self.group, self.what, self.figure, self.unit, self.values = group, what, figure, unit, []

    def three(self):
        return min(self.values), statistics.median(self.values), max(self.values)


class Table:
    def __init__(self):
        self.rows, self.notes, self.left_out = {}, [], []

    def add(self, group, what, figure, unit, *values):
        key = (group, what, figure)
        row = self.rows.setdefault(key, Row(group, what, figure, unit))
        row.values += [float(value) for value in values]

    def adder(self, group, what):
        return lambda figure, unit, *values: self.add(group, what, figure, unit, *values)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def leave_out(self, text):
        """Something that this run did not measure."""
        if text not in self.left_out:
            self.left_out.append(text)

    def find(self, group, what, figure):
        return self.rows.get((group, what, figure))

    def markdown(self, head, bars, failures):
        libraries = "; ".join([head["compiler"], *head["weir"].splitlines()])
        lines = [
            f"{head['cpu']}, {head['cores']} cores, {head['memory_gib']} GiB, {head['system']}, "
            f"Linux {head['kernel']}; Kafka {head['kafka']} ({head['java']}), Redis "
            f"{head['redis']}; {libraries}; commit {head['commit']}, {head['what']} run of "
            f"{head['took_s']} s.", ""]
        lines += [f"**Failed**: {text}" for text in failures] + ([""] if failures else [])
        lines += ["| events | what | figure | least | median | most | unit | runs |",
                  "|---|---|---|--:|--:|--:|---|--:|"]
        for row in self.rows.values():
            least, middle, most = row.three()
            lines.append(f"| {row.group} | {row.what} | {row.figure} | {shown(least)} | "
                         f"{shown(middle)} | {shown(most)} | {row.unit} | {len(row.values)} |")
        lines += ["", "| bar | measured | |", "|---|---|---|"]
        for bar in bars:
            verdict = {True: "met", False: "**missed**", None: "not measured"}
            lines.append(f"| {bar['bar']} | {bar['measured']} | {verdict[bar['holds']]} |")
        for title, texts in (("Not measured:", self.left_out), ("Notes:", self.notes)):
            if texts:
                lines += ["", title, ""] + [f"- {text}" for text in texts]
        return "\n".join(lines) + "\n"

    def write(self, folder, head, bars, failures):
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for row in self.rows.values():
            least, middle, most = row.three()
            rows.append({"events": row.group, "what": row.what, "figure": row.figure,
                         "unit": row.unit, "min": least, "median": middle, "max": most,
                         "values": row.values})
        tree = {"machine": head, "rows": rows, "bars": bars, "notes": self.notes,
                "not_measured": self.left_out, "failures": failures}
        (folder / "table.json").write_text(json.dumps(tree, indent=1) + "\n")
        (folder / "table.md").write_text(self.markdown(head, bars, failures))
