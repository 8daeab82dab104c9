#include "wire/talk.h"

/* What may be said before a shell is ready: rc files, banners, a lecture. */
#define NOISE_MAX (64 * 1024)

#define TEXT_MAX (16 * 1024)

void talk_init(struct talk *talk, struct link *link)
{
	*talk = (struct talk){.link = link};
	buf_init(&talk->out, NOISE_MAX);
	buf_init(&talk->err, NOISE_MAX);
	buf_init(&talk->text, TEXT_MAX);
}

void talk_clear(struct talk *talk)
{
	channel_free(talk->channel);
	talk->channel = NULL;
	buf_clear(&talk->out);
	buf_clear(&talk->err);
	buf_clear(&talk->text);
}

enum err talk_exec_step(struct talk *talk, bool terminal, struct outcome *outcome)
{
	enum err err =
	    channel_exec_step(talk->link, &talk->channel, buf_text(&talk->text), terminal, outcome);

	if (err == ERR_OK)
		buf_clear(&talk->text);
	return err;
}

void talk_put(struct talk *talk, const char *text)
{
	buf_add_text(&talk->text, text);
	buf_add_text(&talk->text, "\n");
	talk->written = 0;
}

void talk_put_secret(struct talk *talk, const struct secret *secret)
{
	buf_add(&talk->text, secret_data(secret), secret_len(secret));
	buf_add_text(&talk->text, "\n");
	talk->written = 0;
}

enum err talk_write_step(struct talk *talk, bool *touched, struct outcome *outcome)
{
	enum err err = channel_write_step(
	    talk->channel, talk->text.data, talk->text.len, &talk->written, touched, outcome);

	if (err == ERR_OK)
		buf_reset(&talk->text);
	return err;
}

enum err talk_read_step(struct talk *talk, bool *end, struct outcome *outcome)
{
	return channel_read_step(talk->channel, &talk->out, &talk->err, end, outcome);
}

void talk_forget(struct talk *talk)
{
	buf_reset(&talk->out);
	buf_reset(&talk->err);
}
