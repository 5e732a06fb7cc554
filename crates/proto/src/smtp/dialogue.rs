//! Who waits for what: the part of SMTP that both directions share.
//!
//! Holds:     how the client's next line is to be read, and which replies are still to come.
//! Promises:  a line that the server may read as a command is never read as data only, and the
//!            other way round: where the server's view is not known, [`SmtpMode::Both`] says so and
//!            every rule sees the line.
//! Never:     trusts the client's word that data begins; the server's 354 decides.
//!
//! Replies are matched to commands by their codes first (354 answers DATA and nothing else, 334
//! AUTH, 220 after the greeting STARTTLS), and by counting where a refusal has to be told from the
//! reply to a command pipelined before it (RFC 2920). A wrong count can only leave
//! [`SmtpMode::Both`] standing.

use super::command::BdatChunk;

/// How the client's next line is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SmtpMode {
    /// A command.
    #[default]
    Command,
    /// Either: DATA was sent but not answered, or some servers think that the data has ended and
    /// others do not.
    Both,
    /// A line of the mail.
    Data,
}

/// The commands that change how later bytes are read, and those with addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SmtpVerb {
    #[default]
    Other,
    Mail,
    Rcpt,
    Data,
    Bdat,
    StartTls,
    Auth,
}

impl SmtpVerb {
    pub(super) fn of(command: &[u8]) -> Self {
        const VERBS: &[(&[u8], SmtpVerb)] = &[
            (b"MAIL", SmtpVerb::Mail),
            (b"RCPT", SmtpVerb::Rcpt),
            (b"DATA", SmtpVerb::Data),
            (b"BDAT", SmtpVerb::Bdat),
            (b"STARTTLS", SmtpVerb::StartTls),
            (b"AUTH", SmtpVerb::Auth),
        ];
        let found = VERBS.iter().find(|(name, _)| name.eq_ignore_ascii_case(command));
        found.map_or(Self::Other, |&(_, verb)| verb)
    }
}

/// A command whose reply matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AwaitedReply {
    #[default]
    No,
    /// Sent; so many replies come before its own.
    Sent(u32),
}

/// A finished line of the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientLine {
    /// The command, if it is one.
    pub(super) verb: SmtpVerb,
    /// It consists of one dot.
    pub(super) dot: bool,
    /// It ended with CR LF.
    pub(super) crlf: bool,
    /// BDAT's chunk.
    pub(super) chunk: Option<BdatChunk>,
}

/// What is remembered of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dialogue {
    mode: SmtpMode,
    /// The line before ended with CR LF, so a dot is at the beginning of a line for every server.
    after_crlf: bool,
    /// The server's first reply has come.
    greeted: bool,
    /// A reply has begun and goes on.
    in_reply: bool,
    /// Commands whose replies are to come.
    awaited: u32,
    data: AwaitedReply,
    /// Lines behind an unanswered DATA: each gets a reply only if DATA is refused.
    perhaps_commands: u32,
    /// The end of data came before the reply to DATA.
    data_over: bool,
    /// DATA was sent again before its reply: which 354 belongs to which is anybody's guess, so
    /// lines of the mail are read both ways from here on.
    tangled: bool,
    starttls: AwaitedReply,
    auth: AwaitedReply,
    /// The server has sent 334 and owes no other reply: the client's next line answers it.
    challenged: bool,
    /// The server announced CHUNKING (RFC 3030).
    chunking: bool,
    /// Bytes of a BDAT chunk that follow.
    chunk_left: u64,
    /// Every server takes them for one.
    chunk_is_clear: bool,
    encrypted: bool,
    /// Commands and replies can no longer be told to belong together.
    lost: bool,
}

impl Dialogue {
    //= https://www.rfc-editor.org/rfc/rfc5321#section-4.2
    //# Every command MUST generate exactly one reply.
    /// Replies to come; `None` where that is not known, or where the server would not notice that
    /// the next line is missing.
    pub(super) fn outstanding_responses(&self) -> Option<u32> {
        let inside = self.mode != SmtpMode::Command || self.challenged;
        // In AUTH between a challenge and its answer, however that was sent.
        let in_auth = self.auth != AwaitedReply::No && self.awaited == 0;
        let in_chunk = self.chunk_left > 0 && !self.in_clear_chunk();
        if self.lost || self.tangled || self.encrypted || inside || in_auth || in_chunk {
            return None;
        }
        let outstanding = self.awaited.saturating_add(u32::from(!self.greeted));
        Some(outstanding.max(u32::from(self.in_reply)))
    }

    /// The server takes down a mail, and says nothing before its end.
    pub(super) fn in_mail_alone(&self) -> bool {
        self.mode == SmtpMode::Data && self.awaited == 0 && !self.in_reply && !self.lost
    }

    /// The command that has just ended never reaches the server.
    pub(super) fn cancel_request(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
        let newest = AwaitedReply::Sent(self.awaited);
        for asked in [&mut self.starttls, &mut self.auth] {
            if *asked == newest {
                *asked = AwaitedReply::No;
            }
        }
        if self.data == newest {
            self.data = AwaitedReply::No;
            self.mode = SmtpMode::Command;
        }
    }

    pub(super) fn mode(&self) -> SmtpMode {
        self.mode
    }

    pub(super) fn after_crlf(&self) -> bool {
        self.after_crlf
    }

    pub(super) fn in_reply(&self) -> bool {
        self.in_reply
    }

    pub(super) fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// The next line answers a challenge of AUTH.
    pub(super) fn challenged(&self) -> bool {
        self.challenged && self.mode == SmtpMode::Command
    }

    /// The next line may answer a challenge that has not been seen yet.
    pub(super) fn perhaps_challenged(&self) -> bool {
        self.auth != AwaitedReply::No && self.mode == SmtpMode::Command
    }

    //= https://www.rfc-editor.org/rfc/rfc3207#section-4.2
    //# Upon completion of the TLS handshake, the SMTP protocol is reset to
    //# the initial state [...]  The server MUST discard any knowledge
    //# obtained from the client
    /// The next line came behind STARTTLS, before its reply.
    pub(super) fn behind_starttls(&self) -> bool {
        self.starttls != AwaitedReply::No && self.mode != SmtpMode::Data
    }

    /// The bytes that follow are a chunk and nothing else.
    pub(super) fn in_clear_chunk(&self) -> bool {
        self.chunk_left > 0
            && self.chunk_is_clear
            && self.mode == SmtpMode::Command
            && !self.behind_starttls()
    }

    /// Bytes of a BDAT chunk that come before the next command.
    pub(super) fn chunk_left(&self) -> u64 {
        self.chunk_left
    }

    /// So many of them have gone by.
    pub(super) fn chunk_passed(&mut self, bytes: u64) {
        self.chunk_left = self.chunk_left.saturating_sub(bytes);
    }

    /// The client finished a line.
    pub(super) fn client_line(&mut self, line: ClientLine) {
        match self.mode {
            SmtpMode::Command => self.command(line),
            SmtpMode::Data if line.dot => self.dot(line),
            SmtpMode::Both if line.dot => self.dot(line),
            SmtpMode::Data => {}
            SmtpMode::Both => self.perhaps_command(line),
        }
        // The line end of DATA itself counts as one: an empty mail begins with the dot.
        self.after_crlf = line.crlf || line.verb == SmtpVerb::Data;
    }

    fn command(&mut self, line: ClientLine) {
        let before = self.awaited;
        self.awaited = before.saturating_add(1);
        if core::mem::take(&mut self.challenged) {
            // The reply to this line is another 334 or the last word on AUTH.
            self.auth = AwaitedReply::Sent(before);
            return;
        }
        match line.verb {
            SmtpVerb::Data => {
                self.tangled |= self.data != AwaitedReply::No;
                self.data = AwaitedReply::Sent(before);
                self.perhaps_commands = 0;
                self.data_over = false;
                self.mode = SmtpMode::Both;
            }
            SmtpVerb::StartTls => self.starttls = AwaitedReply::Sent(before),
            SmtpVerb::Auth => self.auth = AwaitedReply::Sent(before),
            // A server without CHUNKING answers 500 and reads what follows as commands.
            SmtpVerb::Bdat if self.chunking => self.chunk(line.chunk),
            SmtpVerb::Bdat | SmtpVerb::Mail | SmtpVerb::Rcpt | SmtpVerb::Other => {}
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc5321#section-4.1.1.4
    //# The mail data are terminated by a line containing only a period, that
    //# is, the character sequence "<CRLF>.<CRLF>"
    fn dot(&mut self, line: ClientLine) {
        if !(self.after_crlf && line.crlf) {
            // Some servers stop here, and others do not.
            self.mode = SmtpMode::Both;
            self.lost = true;
        } else if self.data == AwaitedReply::No {
            self.mode = SmtpMode::Command;
            self.awaited = self.awaited.saturating_add(1);
        } else {
            self.mode = SmtpMode::Command;
            self.data_over = true;
            self.perhaps_commands = self.perhaps_commands.saturating_add(1);
        }
    }

    fn perhaps_command(&mut self, line: ClientLine) {
        if self.data != AwaitedReply::No {
            self.perhaps_commands = self.perhaps_commands.saturating_add(1);
            self.tangled |= line.verb == SmtpVerb::Data;
        }
        match line.verb {
            SmtpVerb::StartTls => {
                self.starttls =
                    AwaitedReply::Sent(self.awaited.saturating_add(self.perhaps_commands));
            }
            // Its bytes are lines of the mail, or a chunk with a command right behind it.
            SmtpVerb::Bdat if self.chunking => self.chunk(line.chunk),
            SmtpVerb::Bdat
            | SmtpVerb::Data
            | SmtpVerb::Auth
            | SmtpVerb::Mail
            | SmtpVerb::Rcpt
            | SmtpVerb::Other => {}
        }
    }

    fn chunk(&mut self, chunk: Option<BdatChunk>) {
        self.chunk_left = chunk.map_or(0, |chunk| chunk.bytes);
        self.chunk_is_clear = chunk.is_some_and(|chunk| chunk.is_clear);
        self.lost |= !self.chunk_is_clear;
    }

    /// A line of a reply has ended; `goes_on` unless it is the reply's last.
    pub(super) fn reply_line(&mut self, code: Option<u16>, chunking: bool, goes_on: bool) {
        self.chunking |= chunking;
        self.in_reply = goes_on;
        if goes_on {
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc5321#section-4.3.2
        //# CONNECTION ESTABLISHMENT S: 220 E: 554
        let greets = !core::mem::replace(&mut self.greeted, true);
        self.lost |= code.is_none();
        if greets && matches!(code, None | Some(220 | 421 | 554)) {
            return;
        }
        self.lost |= self.awaited == 0;
        self.awaited = self.awaited.saturating_sub(1);
        match Self::answered(&mut self.data, code == Some(354)) {
            SmtpAnswer::Granted if core::mem::take(&mut self.data_over) => {
                // The dot was the end of the mail, and has its reply to come.
                self.awaited = self.awaited.saturating_add(1);
            }
            SmtpAnswer::Granted if !self.tangled => self.mode = SmtpMode::Data,
            SmtpAnswer::Refused if !self.tangled => {
                self.data_over = false;
                self.awaited = self.awaited.saturating_add(self.perhaps_commands);
                self.mode = SmtpMode::Command;
            }
            SmtpAnswer::ToAnother if code == Some(354) => {
                self.mode = SmtpMode::Both;
                self.lost = true;
            }
            SmtpAnswer::Granted | SmtpAnswer::Refused | SmtpAnswer::ToAnother => {}
        }
        if Self::answered(&mut self.starttls, code == Some(220)) == SmtpAnswer::Granted {
            self.encrypted = true;
        }
        let in_auth = self.auth != AwaitedReply::No;
        Self::answered(&mut self.auth, false);
        self.challenged = in_auth && code == Some(334) && self.awaited == 0;
        if in_auth && code == Some(334) {
            // The next reply is to the line that answers it.
            self.auth = AwaitedReply::Sent(0);
        }
    }

    /// Whether a reply answers what was asked.
    fn answered(asked: &mut AwaitedReply, grants: bool) -> SmtpAnswer {
        match *asked {
            AwaitedReply::No => SmtpAnswer::ToAnother,
            AwaitedReply::Sent(_) if grants => {
                *asked = AwaitedReply::No;
                SmtpAnswer::Granted
            }
            AwaitedReply::Sent(0) => {
                *asked = AwaitedReply::No;
                SmtpAnswer::Refused
            }
            AwaitedReply::Sent(before) => {
                *asked = AwaitedReply::Sent(before.saturating_sub(1));
                SmtpAnswer::ToAnother
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SmtpAnswer {
    /// It answers something else.
    ToAnother,
    Granted,
    Refused,
}
