#include "queue/spool.h"

#include "base/xalloc.h"

enum { NOTES_MAX = 1024 };

/* Something in the spool that was complained about; told by its inode from what has its name. */
struct spool_note {
	uint64_t inode;
	int64_t ctime;
	unsigned generation;
};

/* With the table full nothing further is said: who reads the log has enough to look at. */
bool
spool_note_once(struct spool *s, uint64_t inode, int64_t ctime)
{
	for (size_t i = 0; i < s->note_count; i++) {
		if (s->notes[i].inode != inode || s->notes[i].ctime != ctime)
			continue;
		s->notes[i].generation = s->generation;
		return false;
	}
	if (s->note_count == NOTES_MAX)
		return false;
	if (s->notes == NULL)
		s->notes = xcalloc(NOTES_MAX, sizeof *s->notes);
	s->notes[s->note_count++] =
	    (struct spool_note){.inode = inode, .ctime = ctime, .generation = s->generation};
	return true;
}

void
spool_note_sweep(struct spool *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->note_count; i++)
		if (s->notes[i].generation == s->generation)
			s->notes[count++] = s->notes[i];
	s->note_count = count;
	s->generation++;
}
