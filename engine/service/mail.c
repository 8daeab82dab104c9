#include "service/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/id.h"
#include "base/mem.h"
#include "service/engine.h"
#include "service/letter.h"
#include "service/transfer.h"
#include "vault/notice.h"

#define MAIL_UNAVAILABLE 500 /* from here on a server refuses for good */
#define WORD_BYTES	 42  /* of a subject in one encoded word: 75 characters are allowed */
#define HEADER_SIZE	 1024

/* ── Headers ─────────────────────────────────────────────────────────────────────────────── */

static bool is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text >= 0x7f)
			return false;
	return true;
}

/* Bytes of the longest beginning of up to WORD_BYTES that ends where a character does. */
static size_t word_length(const char *text)
{
	size_t len = strlen(text);

	if (len <= WORD_BYTES)
		return len;
	for (len = WORD_BYTES; len > 1 && ((unsigned char)text[len] & 0xc0) == 0x80;)
		len--;
	return len;
}

/* As RFC 2047 says: each word is base64 of whole characters, and a line of its own. */
static void subject_encode(char *out, size_t size, const char *subject)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t used = 0, len;

	for (; *subject != '\0'; subject += len) {
		used += (size_t)snprintf(
		    out + used, size - used, "%s=?UTF-8?B?", used == 0 ? "" : "\r\n ");
		len = word_length(subject);
		for (size_t i = 0; i < len; i += 3) {
			unsigned bits = (unsigned)(unsigned char)subject[i] << 16;

			bits |= i + 1 < len ? (unsigned)(unsigned char)subject[i + 1] << 8 : 0;
			bits |= i + 2 < len ? (unsigned char)subject[i + 2] : 0;
			out[used++] = digits[bits >> 18];
			out[used++] = digits[bits >> 12 & 63];
			out[used++] = i + 1 < len ? digits[bits >> 6 & 63] : '=';
			out[used++] = i + 2 < len ? digits[bits & 63] : '=';
		}
		used += (size_t)snprintf(out + used, size - used, "?=");
	}
}

static void __attribute__((format(printf, 2, 3)))
header_add(struct transfer *transfer, const char *fmt, ...)
{
	char line[HEADER_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	transfer->headers = curl_slist_append(transfer->headers, line);
}

static void add_date(struct transfer *transfer, uint64_t wall_ms)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (gmtime_r(&at, &tm) != NULL)
		header_add(transfer, "Date: %s, %d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday],
		    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
}

/* The id is the same however often it is sent: a mailbox can tell. */
static void add_headers(struct transfer *transfer, const struct mail *mail,
    const struct notice *notice, const char *subject)
{
	char encoded[HEADER_SIZE - 16], id[ID_TEXT_SIZE];

	if (is_ascii(subject))
		snprintf(encoded, sizeof(encoded), "%s", subject);
	else
		subject_encode(encoded, sizeof(encoded), subject);
	add_date(transfer, notice->queued_ms);
	header_add(transfer, "From: Lockstep <%s>", mail->from);
	header_add(transfer, "To: %s", notice->to);
	header_add(transfer, "Message-ID: <%s.lockstep@%s>", id_text(&notice->id, id),
	    strrchr(mail->from, '@') + 1);
	header_add(transfer, "Subject: %s", encoded);
	header_add(transfer, "Auto-Submitted: auto-generated");
	header_add(transfer, "Content-Type: multipart/alternative");
	curl_easy_setopt(transfer->curl, CURLOPT_HTTPHEADER, transfer->headers);
}

/* ── The message ─────────────────────────────────────────────────────────────────────────── */

static void add_part(curl_mime *mime, const char *type, const char *text)
{
	curl_mimepart *part = curl_mime_addpart(mime);

	curl_mime_data(part, text, CURL_ZERO_TERMINATED);
	curl_mime_type(part, type);
	curl_mime_encoder(part, "quoted-printable");
}

static void add_body(struct transfer *transfer, const struct letter *letter)
{
	transfer->mime = curl_mime_init(transfer->curl);
	add_part(transfer->mime, "text/plain; charset=utf-8", letter->text);
	add_part(transfer->mime, "text/html; charset=utf-8", letter->html);
	curl_easy_setopt(transfer->curl, CURLOPT_MIMEPOST, transfer->mime);
}

/* ── The server ──────────────────────────────────────────────────────────────────────────── */

static enum err add_login(
    struct transfer *transfer, struct vault_txn *txn, const struct mail *mail, struct error *error)
{
	struct secret *password;
	enum err err;

	if (mail->password == NULL)
		return ERR_OK;
	err = named_secret_get(txn, mail->password, &password, error);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_DENIED : err;
	curl_easy_setopt(transfer->curl, CURLOPT_USERNAME, mail->user);
	curl_easy_setopt(transfer->curl, CURLOPT_PASSWORD, secret_data(password));
	secret_free(password);
	return ERR_OK;
}

static void add_server(
    struct transfer *transfer, const struct mail *mail, const struct notice *notice)
{
	CURL *curl = transfer->curl;
	char from[NOTICE_TO_SIZE + 2];

	snprintf(from, sizeof(from), "<%s>", mail->from);
	transfer->recipients = curl_slist_append(NULL, notice->to);
	curl_easy_setopt(curl, CURLOPT_URL, mail->server);
	curl_easy_setopt(
	    curl, CURLOPT_USE_SSL, (long)(mail->tls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
	if (mail->ca != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, mail->ca);
	curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
	curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, transfer->recipients);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
}

static enum err transfer_fill(struct transfer *transfer, const struct service *service,
    struct vault_txn *txn, const struct notice *notice, struct error *error)
{
	const struct mail *mail = &policy_settings(service->snapshot->policy)->mail;
	struct letter letter;
	enum err err = letter_write(&letter, service, txn, notice, error);

	if (err != ERR_OK)
		return err;
	add_server(transfer, mail, notice);
	add_headers(transfer, mail, notice, letter.subject);
	add_body(transfer, &letter);
	letter_clear(&letter);
	return add_login(transfer, txn, mail, error);
}

enum err mail_make(struct transfer **out, const struct service *service, struct vault_txn *txn,
    const struct notice *notice, struct error *error)
{
	const struct settings *settings = policy_settings(service->snapshot->policy);
	struct transfer *transfer;
	enum err err;

	*out = NULL;
	if (settings->mail.server == NULL)
		return error_set(error, ERR_NOT_FOUND, "the policy has no settings.mail any more");
	transfer = transfer_new(settings->notify.timeout_ms);
	if (transfer == NULL)
		return error_set(error, ERR_LIMIT, "there is no memory for a transfer");
	err = transfer_fill(transfer, service, txn, notice, error);
	if (err == ERR_OK)
		*out = transfer; /* transferred */
	else
		transfer_free(transfer);
	return err;
}

/* ── What came of it ─────────────────────────────────────────────────────────────────────── */

/* A login's answer is not quoted: there are servers that say again what they were told. */
enum sent mail_sent(const struct transfer *transfer, CURLcode code, char why[WHY_SIZE])
{
	long status = 0;
	const char *words = transfer->words[0] != '\0' ? transfer->words : curl_easy_strerror(code);

	curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
	why[0] = '\0';
	if (code == CURLE_OK)
		return SENT_OK;
	if (code == CURLE_LOGIN_DENIED)
		snprintf(why, WHY_SIZE,
		    "the server refused the login (%ld): see user and password of settings.mail",
		    status);
	else if (status >= 400)
		snprintf(why, WHY_SIZE, "the server refused it: %.180s", transfer->said);
	else
		snprintf(why, WHY_SIZE, "%.200s", words);
	/* The greeting's or the login's refusal is not about this mail. */
	return status >= MAIL_UNAVAILABLE && code == CURLE_SEND_ERROR ? SENT_NEVER : SENT_LATER;
}
