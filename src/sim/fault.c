/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire/text.h"

enum {
	MAX_WAIT_US = 60 * US_PER_S, /* nobody waits longer for DNS: larger values are typing errors */
	MAX_RCODE = 15,              /* what fits into the header */
	WHOLE_PM = 1000,
	MAX_WORDS_BYTES = 512,
};

enum fault_kind { FLAG, TIME, SHARE, RCODE, HEAL };

/* One row a word. */
static const struct fault_word {
	const char *word, *sample, *help;
	enum fault_kind kind;
	size_t field;
} words[] = {
	{"silent", "", "take queries, never answer", FLAG, offsetof(struct fault, silent)},
	{"delay", " 300ms", "answer later", TIME, offsetof(struct fault, delay_us)},
	{"jitter", " 20ms", "vary the delay by up to this much, either way", TIME, offsetof(struct fault, jitter_us)},
	{"loss", " 30%", "leave this share of UDP queries unanswered", SHARE, offsetof(struct fault, loss_pm)},
	{"rcode", " SERVFAIL", "answer with this and no records", RCODE, offsetof(struct fault, rcode)},
	{"truncate", "", "answer over UDP with TC and no records", FLAG, offsetof(struct fault, truncate)},
	{"garbage", "", "answer with octets that are no records", FLAG, offsetof(struct fault, garbage)},
	{"wrong-id", "", "answer with another id", FLAG, offsetof(struct fault, wrong_id)},
	{"wrong-question", "", "answer another question", FLAG, offsetof(struct fault, wrong_question)},
	{"tcp-cut", "", "end TCP connections in the middle of an answer", FLAG, offsetof(struct fault, tcp_cut)},
	{"closed", "", "close the port: ICMP over UDP, RST over TCP", FLAG, offsetof(struct fault, closed)},
	{"no-edns", "", "answer FORMERR without OPT to queries with one", FLAG, offsetof(struct fault, no_edns)},
	{"lower-case", "", "echo questions in lower case", FLAG, offsetof(struct fault, lower_case)},
	{"heal", "", "take back all faults", HEAL, 0},
};

/* The row's field inside a fault. The casts go over void: offsetof has looked after the alignment. */
static void *field_of(struct fault *f, const struct fault_word *w)
{
	return (char *)f + w->field;
}

/* A number with a unit: digits, at most one dot, then the unit to the end. False when it is none. */
static bool read_number(const char *text, double *number, const char **unit)
{
	size_t digits = strspn(text, "0123456789.");
	char *end;

	if (digits == 0 || digits > 12)
		return false;
	*number = strtod(text, &end);
	*unit = text + digits;
	return end == *unit;
}

static bool read_time(const char *text, uint64_t *us)
{
	static const struct {
		const char *unit;
		double us;
	} units[] = {{"ms", US_PER_MS}, {"s", US_PER_S}, {"us", 1}};
	double number;
	const char *unit;

	if (!read_number(text, &number, &unit))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(unit, units[i].unit) != 0)
			continue;
		if (number * units[i].us > MAX_WAIT_US)
			return false;
		*us = (uint64_t)(number * units[i].us);
		return number <= 0 || *us > 0;
	}
	return false;
}

static bool read_share(const char *text, uint16_t *pm)
{
	double number;
	const char *unit;

	if (!read_number(text, &number, &unit) || strcmp(unit, "%") != 0 || number > 100)
		return false;
	/* What is finer than the field would be less than was asked for, or nothing. */
	*pm = (uint16_t)(number * WHOLE_PM / 100 + 0.5);
	double lost = number * WHOLE_PM / 100 - *pm;
	return lost < 1e-6 && lost > -1e-6;
}

static bool read_rcode(const char *text, uint16_t *rcode)
{
	char name[TEXT_TYPE_MAX];

	for (unsigned i = 0; i <= MAX_RCODE; i++)
		if (strcasecmp(text, text_rcode((uint16_t)i, name)) == 0) {
			*rcode = (uint16_t)i;
			return true;
		}
	return false;
}

/* Applies one word; `value` is the one behind it, or NULL at the end. */
static int apply(struct fault *f, const struct fault_word *w, const char *value, struct strbuf *error)
{
	bool good = false;

	switch (w->kind) {
	case FLAG:
		*(bool *)field_of(f, w) = true;
		return 0;
	case HEAL:
		*f = (struct fault){0};
		return 0;
	case TIME:
		good = value && read_time(value, field_of(f, w));
		break;
	case SHARE:
		good = value && read_share(value, field_of(f, w));
		break;
	case RCODE:
		good = f->has_rcode = value && read_rcode(value, field_of(f, w));
		break;
	}
	if (good)
		return 0;
	strbuf_addf(error, "`%s` needs a value like `%s%s`", w->word, w->word, w->sample);
	if (value)
		strbuf_addf(error, ", not `%s`", value);
	return -EINVAL;
}

static const struct fault_word *find_word(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].word, word) == 0)
			return &words[i];
	return NULL;
}

int fault_parse(struct fault *f, const char *text, struct strbuf *error)
{
	static const char blanks[] = " \t\n";
	char copy[MAX_WORDS_BYTES], *rest = NULL;
	struct fault changed = *f;

	if (strlen(text) >= sizeof(copy)) {
		strbuf_add(error, "that is too long");
		return -EINVAL;
	}
	memcpy(copy, text, strlen(text) + 1);
	char *word = strtok_r(copy, blanks, &rest);
	if (!word) {
		strbuf_add(error, "which fault?");
		return -EINVAL;
	}
	for (; word; word = strtok_r(NULL, blanks, &rest)) {
		const struct fault_word *w = find_word(word);
		if (!w) {
			strbuf_addf(error, "no fault is called `%s`", word);
			return -EINVAL;
		}
		char *value = w->kind == FLAG || w->kind == HEAL ? NULL : strtok_r(NULL, blanks, &rest);
		int result = apply(&changed, w, value, error);
		if (result < 0)
			return result;
	}
	*f = changed;
	return 0;
}

void fault_print(const struct fault *f, struct strbuf *out)
{
	const size_t begun = out->len;
	struct fault copy = *f;
	char name[TEXT_TYPE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct fault_word *w = &words[i];
		const char *gap = out->len > begun ? " " : "";
		void *field = field_of(&copy, w);

		if (w->kind == FLAG && *(bool *)field)
			strbuf_addf(out, "%s%s", gap, w->word);
		else if (w->kind == TIME && *(uint64_t *)field > 0)
			strbuf_addf(out, "%s%s %gms", gap, w->word, (double)*(uint64_t *)field / US_PER_MS);
		else if (w->kind == SHARE && *(uint16_t *)field > 0)
			strbuf_addf(out, "%s%s %g%%", gap, w->word, *(uint16_t *)field * 100.0 / WHOLE_PM);
		else if (w->kind == RCODE && f->has_rcode)
			strbuf_addf(out, "%s%s %s", gap, w->word, text_rcode(f->rcode, name));
	}
	if (out->len == begun)
		strbuf_add(out, "none");
}

const char *fault_help(void)
{
	static char text[2048];
	struct strbuf out;

	strbuf_init(&out, text, sizeof(text));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char head[32];
		struct strbuf sample;

		strbuf_init(&sample, head, sizeof(head));
		strbuf_addf(&sample, "%s%s", words[i].word, words[i].sample);
		strbuf_addf(&out, "  %-16s %s\n", head, words[i].help);
	}
	return text;
}

bool fault_draw(const struct fault *f, bool tcp, struct random *r, uint64_t *wait_us)
{
	/* Between delay - jitter and delay + jitter, but never before now. */
	uint64_t late = f->delay_us + (f->jitter_us > 0 ? random_below(r, (uint32_t)(2 * f->jitter_us) + 1) : 0);

	*wait_us = late > f->jitter_us ? late - f->jitter_us : 0;
	if (f->silent || f->closed)
		return false;
	return tcp || f->loss_pm == 0 || random_below(r, WHOLE_PM) >= f->loss_pm;
}
