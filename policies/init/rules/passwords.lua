-- How new passwords are made: each is drawn evenly from all that satisfy the rule.

rule "strong" {
	length = 24,
	lower = 2, -- at least; false = none
	upper = 2,
	digit = 2,
	symbol = { min = 2, max = 6, set = "-_.+=" },
	first = "letter",
	ambiguous = false, -- no 0 and O, no 1, l and I
}

-- For people who have to type them: "Sandbox-Crispy-Viewer-Oboe-Plank-Tidy7".
rule "readable" {
	words = 6,
	join = "-",
	capital = true,
	digit = 1,
}
